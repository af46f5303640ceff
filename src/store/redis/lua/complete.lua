-- Each key for itself, in their order. Nearly every delivery is completed by the owner that holds all of its keys. That
-- is done before any function is made, which would cost as much as a write.
local owner, keep = ARGV[1], ARGV[2]
local ending, done = ' ' .. owner, true
for _, key in ipairs(KEYS) do
  local text = redis.pcall('GET', key)
  done = done and type(text) == 'string' and text:sub(1, 6) == 'sw1 r ' and text:sub(-33) == ending
end
for _, key in ipairs(KEYS) do
  -- A server that is full refuses it, unless the record is first made to expire sooner: see below.
  done = done and not redis.pcall('SET', key, 'sw1 c', 'PX', keep).err
end
if done then
  return 0
end

