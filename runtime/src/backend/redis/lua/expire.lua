-- EXPIRE and PERSIST of a key: ARGV[2] is the command, ARGV[3] the seconds.
local key, changed = KEYS[2], nil
if ARGV[2] == 'PERSIST' then changed = call('PERSIST', key) else changed = call('EXPIRE', key, ARGV[3]) end
if changed == 1 and call('EXISTS', rows_of(key)) == 1 then call('ZADD', DEADLINES, tick(), key) end
return { changed, latest(), deadline_of(key) }
