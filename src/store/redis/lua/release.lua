-- Releases each key by itself, in order. Answers with the worst standing.
local owner = ARGV[1]
local worst = HELD
for _, key in ipairs(KEYS) do
  local text = get(key)
  local found = standing(text, owner)
  if found == HELD then
    local record = parse(text)
    record.owner = nil
    settle(key, write(record, clock()))
  end
  worst = math.max(worst, found)
end
return worst
