-- Renews each key by itself, in order. Answers with the worst standing.
local owner, lease = ARGV[1], ARGV[2]
local worst = HELD
for _, key in ipairs(KEYS) do
  local text = get(key)
  local found = standing(text, owner)
  if found == HELD then
    local record, now = parse(text), clock()
    record.lease = now + lease
    settle(key, write(record, now))
  end
  worst = math.max(worst, found)
end
return worst
