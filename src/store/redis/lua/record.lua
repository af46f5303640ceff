-- Ahead of every verb: the server's time, and the record under the key.
--
-- A record is text, so that `redis-cli get` shows it:
--   sw1 r <fence> <attempt> <keep until> <lease until> <owner>    in progress (running)
--   sw1 c <fence> <attempt> <keep until>                          completed
--   sw1 f <fence> <attempt> <keep until>                          retryable (failed)
-- Times are in ms since 1970 by the server's clock. The server drops a record by itself once neither
-- its retention nor its lease is running.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local record = { state = 'absent', fence = 0, attempt = 0, keep = 0, lease = 0 }
local foreign, newer = false, false
local text = redis.call('GET', KEYS[1])
if text then
  local state, fence, attempt, keep, rest = text:match('^sw1 ([rcf]) (%d+) (%d+) (%d+)(.*)$')
  local lease, owner = (rest or ''):match('^ (%d+) (%x+)$')
  if state == 'r' and lease or state and state ~= 'r' and rest == '' then
    record = {
      state = state, fence = tonumber(fence), attempt = tonumber(attempt),
      keep = tonumber(keep), lease = tonumber(lease or 0), owner = owner,
    }
  else
    newer = (tonumber(text:match('^sw(%d+) ')) or 0) > 1
    foreign = not newer
  end
end

local leased = record.state == 'r' and now < record.lease
-- Otherwise the record counts for its fence only.
local known = leased or now < record.keep

local function holds(owner)
  return record.state == 'r' and known and record.owner == owner
end

local function put()
  local ends = record.keep
  local fields = string.format('sw1 %s %.0f %.0f %.0f', record.state, record.fence, record.attempt, record.keep)
  if record.state == 'r' then
    ends = math.max(ends, record.lease)
    fields = fields .. string.format(' %.0f %s', record.lease, record.owner)
  end
  redis.call('SET', KEYS[1], fields, 'PX', string.format('%.0f', math.max(ends - now, 1)))
end

if foreign then
  return { 'foreign' }
end
