-- Each key for itself, in their order: a word for each.
local owner, keep = ARGV[1], tonumber(ARGV[2])
local answer = {}
for place, key in ipairs(KEYS) do
  local record = read(key)
  if record.unreadable then
    answer[place] = record.unreadable
  else
    answer[place] = holds(record, owner) and 'done' or 'lost'
    local ends = now + keep
    if record.state == 'c' then
      -- Two may have reported it: the longer promise counts.
      ends = math.max(ends, record.keep)
    end
    record.state, record.keep = 'c', ends
    record.fence = math.max(record.fence, tonumber(ARGV[2 + place]))
    record.attempt = math.max(record.attempt, 1)
    put(key, record)
  end
end
return answer
