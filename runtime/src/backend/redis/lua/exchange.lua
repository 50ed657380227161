-- GETSET ('get') and compare-and-set ('cas'). ARGV[3] is what is expected and ARGV[4] what is new, each after '='; '' is a missing key.
local key, new = KEYS[2], ARGV[4]
local old = call('GET', key)
if ARGV[2] == 'cas' and (old and '=' .. old or '') ~= ARGV[3] then return { 0, false } end
if new == '' then call('DEL', key) else call('SET', key, string.sub(new, 2)) end
if call('EXISTS', rows_of(key)) == 1 then erase_key(key) end
return { 1, old }
