-- Each key for itself, in their order: a word for each.
local owner = ARGV[1]
local answer = {}
for place, key in ipairs(KEYS) do
  local record = read(key)
  if record.unreadable then
    answer[place] = record.unreadable
  elseif holds(record, owner) then
    record.state = 'f'
    put(key, record)
    answer[place] = 'done'
  else
    answer[place] = 'lost'
  end
end
return answer
