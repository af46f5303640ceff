

-- Where it is not so. Answers with the worst standing.
local worst = HELD
for _, key in ipairs(KEYS) do
  local text = get(key)
  local found = standing(text, owner)
  -- Two may have reported it: the longer promise counts.
  local is_longer = text == 'sw1 c' and redis.call('PTTL', key) >= tonumber(keep)
  if found <= LOST and not is_longer then
    settle(key, 'sw1 c', keep)
  end
  worst = math.max(worst, found)
end
return worst
