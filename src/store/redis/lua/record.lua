-- Ahead of every verb: the server's time, and how a record is read and written.
--
-- A record is text, so that `redis-cli get` shows it:
--   sw1 r <fence> <attempt> <keep until> <lease until> <owner>    in progress (running)
--   sw1 c <fence> <attempt> <keep until>                          completed
--   sw1 f <fence> <attempt> <keep until>                          retryable (failed)
-- Times are in ms since 1970 by the server's clock. The server drops a record by itself once neither
-- its retention nor its lease is running.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function read(key)
  local text = redis.call('GET', key)
  if not text then
    return { state = 'absent', fence = 0, attempt = 0, keep = 0, lease = 0 }
  end
  local state = 'r'
  local fence, attempt, keep, lease, owner = text:match('^sw1 r (%d+) (%d+) (%d+) (%d+) (%x+)$')
  if not fence then
    state, fence, attempt, keep = text:match('^sw1 ([cf]) (%d+) (%d+) (%d+)$')
  end
  if not fence then
    local newer = (tonumber(text:match('^sw(%d+) ')) or 0) > 1
    return { unreadable = newer and 'newer' or 'foreign' }
  end
  local record = {
    state = state, fence = tonumber(fence), attempt = tonumber(attempt),
    keep = tonumber(keep), lease = tonumber(lease or 0), owner = owner,
  }
  record.leased = state == 'r' and now < record.lease
  -- Otherwise the record counts for its fence only.
  record.known = record.leased or now < record.keep
  return record
end

local function holds(record, owner)
  return record.state == 'r' and record.known and record.owner == owner
end

local function put(key, record)
  local text, ends
  if record.state == 'r' then
    text = string.format('sw1 r %d %d %d %d %s', record.fence, record.attempt, record.keep, record.lease, record.owner)
    ends = math.max(record.keep, record.lease)
  else
    text = string.format('sw1 %s %d %d %d', record.state, record.fence, record.attempt, record.keep)
    ends = record.keep
  end
  redis.call('SET', key, text, 'PX', math.max(ends - now, 1))
end

