-- GETSET ('get') and compare-and-set ('cas'). ARGV[3] is what is expected and ARGV[4] what is new, each after '='; '' is a missing key.
-- ARGV[5] is the new value's life in seconds; '' is for ever.
local key, new = KEYS[2], ARGV[4]
local old = call('GET', key)
if ARGV[2] == 'cas' and (old and '=' .. old or '') ~= ARGV[3] then return { 0, 0, -1, 0, '' } end
if new == '' then
  call('DEL', key)
elseif ARGV[5] == '' then
  call('SET', key, string.sub(new, 2))
else
  call('SET', key, string.sub(new, 2), 'EX', ARGV[5])
end
if call('EXISTS', rows_of(key)) == 1 then erase_key(key) end
return { 1, latest(), deadline_of(key), 1, old }
