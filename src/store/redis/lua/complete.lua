
-- Completes each key by itself, in order. Answers with the worst standing.
local owner, keep = ARGV[1], ARGV[2]
local worst = HELD
for _, key in ipairs(KEYS) do
  local text = get(key)
  local found = standing(text, owner)
  -- If two owners complete a key, the longer retention counts.
  local is_longer = text == 'sw1 c' and redis.call('PTTL', key) >= tonumber(keep)
  if found <= LOST and not is_longer then
    settle(key, 'sw1 c', keep)
  end
  worst = math.max(worst, found)
end
return worst
