-- Lets about ARGV[2] rows of an ended origin go. Ends before origins whose lease was over at the moment ARGV[4] of Redis's clock, at which the sweeper's origin
-- ARGV[3] was renewed: Redis may have stood still since then, and who is alive could not tell it. When the sweeper's own is over by now, that was so. Returns
-- whether there may be more.
local till = call('ZSCORE', LEASES, ARGV[3])
if not till or tonumber(till) <= clock() then return 0 end
for _, origin in ipairs(call('ZRANGEBYSCORE', LEASES, '-inf', ARGV[4], 'LIMIT', 0, 10)) do end_origin(origin) end
local origin = call('SRANDMEMBER', DEAD)
if not origin then return 0 end
bury(origin, ARGV[2])
return 1
