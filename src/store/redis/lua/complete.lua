-- Each key for itself, in their order. Nearly every one is held, and that is all that is found out about it.
local owner, keep = ARGV[1], ARGV[2]
local held = 0
for place, key in ipairs(KEYS) do
  local text = redis.pcall('GET', key)
  if type(text) ~= 'string' or text:sub(-33) ~= ' ' .. owner or text:sub(1, 6) ~= 'sw1 r ' then
    break
  end
  redis.call('SET', key, 'sw1 c', 'PX', keep)
  held = place
end
if held == #KEYS then
  return 0
end

