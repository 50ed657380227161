-- Takes the lease of the node ARGV[2] for its origin ARGV[3], for ARGV[4] milliseconds. Refuses while another origin of the name has one.
local name, origin = ARGV[2], ARGV[3]
local current = call('HGET', NAMES, name)
if current and current ~= origin then
  local till = call('ZSCORE', LEASES, current)
  if till and tonumber(till) > clock() then return { 0, till } end
  end_origin(current)
end
-- Who did not hear that it was given asks again under the same origin. It may have ended since; nothing was ever written for it.
call('SREM', DEAD, origin)
call('HSET', NAMES, name, origin)
call('HSET', NODES, origin, name)
call('ZADD', LEASES, clock() + ARGV[4], origin)
return { 1, '' }
