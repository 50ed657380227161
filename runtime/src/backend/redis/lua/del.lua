local deleted = 0
for i = 2, #KEYS do
  deleted = deleted + call('DEL', KEYS[i])
  if call('EXISTS', rows_of(KEYS[i])) == 1 then erase_key(KEYS[i]) end
end
return { deleted, latest() }
