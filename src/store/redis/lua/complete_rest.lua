-- From the first that is not held. Answers with the worst standing.
local worst = HELD
for place = held + 1, #KEYS do
  local key = KEYS[place]
  local text = get(key)
  local found = standing(text, owner)
  -- Two may have reported it: the longer promise counts.
  local is_longer = text == 'sw1 c' and redis.call('PTTL', key) >= tonumber(keep)
  if found <= LOST and not is_longer then
    redis.call('SET', key, 'sw1 c', 'PX', keep)
  end
  worst = math.max(worst, found)
end
return worst
