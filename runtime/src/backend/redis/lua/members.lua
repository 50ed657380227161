-- Tells who has a lease: of each in turn its node's name, its origin, and for how many milliseconds more it is good.
local now, told = clock(), {}
local leases = call('ZRANGE', LEASES, 0, -1, 'WITHSCORES')
for i = 1, #leases, 2 do
  table.insert(told, call('HGET', NODES, leases[i]) or '')
  table.insert(told, leases[i])
  table.insert(told, string.format('%d', leases[i + 1] - now))
end
return told
