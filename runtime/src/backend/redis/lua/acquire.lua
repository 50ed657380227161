-- Takes the lease of the node ARGV[2] for its origin ARGV[3], for ARGV[4] milliseconds. Refuses while another origin of the name has one, unless it
-- is one of ARGV[5], which are the node's own (by spaces): an older file brings their leases back.
local name, origin, formers = ARGV[2], ARGV[3], ' ' .. ARGV[5] .. ' '
local current = call('HGET', NAMES, name)
if current and current ~= origin then
  local till = call('ZSCORE', LEASES, current)
  local is_own = string.find(formers, ' ' .. current .. ' ', 1, true)
  if till and tonumber(till) > clock() and not is_own then return { 0, till } end
  end_origin(current)
end
-- Who did not hear that it was given asks again under the same origin. It may have ended since; nothing was ever written for it.
call('SREM', DEAD, origin)
call('HSET', NAMES, name, origin)
call('HSET', NODES, origin, name)
call('ZADD', LEASES, clock() + ARGV[4], origin)
return { 1, '' }
