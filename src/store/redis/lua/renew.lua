-- Each key for itself, in their order: a word for each.
local owner, lease = ARGV[1], tonumber(ARGV[2])
local answer = {}
for place, key in ipairs(KEYS) do
  local record = read(key)
  if record.unreadable then
    answer[place] = record.unreadable
  elseif holds(record, owner) then
    record.lease = now + lease
    put(key, record)
    answer[place] = 'done'
  else
    answer[place] = 'lost'
  end
end
return answer
