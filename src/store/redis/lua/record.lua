-- How a record is read and written.
--
-- A record is text, so that `redis-cli get` shows it:
--   sw1 r <fence> <attempt> <keep until> <lease until> <owner>    in progress (running)
--   sw1 c                                                         completed
--   sw1 f <fence> <attempt> <keep until>                          retryable (failed)
-- Times are in ms since 1970 by the server's clock. A record that is there counts: the server drops it by
-- itself once neither its retention nor its lease is running.

-- Its text, or what is no text at all as an empty one, which is not ours either.
local function get(key)
  local text = redis.pcall('GET', key)
  if type(text) ~= 'table' then
    return text
  end
  if text.err:find('WRONGTYPE', 1, true) then
    return ''
  end
  return redis.call('GET', key)
end

-- One that is not completed; or nothing.
local function parse(text)
  local fence, attempt, keep, lease, owner = text:match('^sw1 r (%d+) (%d+) (%d+) (%d+) (%x+)$')
  if not fence then
    fence, attempt, keep = text:match('^sw1 f (%d+) (%d+) (%d+)$')
  end
  return fence and {
    fence = tonumber(fence), attempt = tonumber(attempt),
    keep = tonumber(keep), lease = tonumber(lease or 0), owner = owner,
  }
end

-- What an owner is told of it. The worst of several keys is the largest.
local HELD, LOST, NEWER, FOREIGN = 0, 1, 2, 3
local function standing(text, owner)
  if not text then
    return LOST
  end
  if text:sub(-33) == ' ' .. owner and text:sub(1, 6) == 'sw1 r ' then
    return HELD
  end
  if text == 'sw1 c' or parse(text) then
    return LOST
  end
  return (tonumber(text:match('^sw(%d+) ')) or 0) > 1 and NEWER or FOREIGN
end

-- Running, with an owner; else retryable. Its text, and for how long it is kept.
local function write(record, now)
  if not record.owner then
    return string.format('sw1 f %d %d %d', record.fence, record.attempt, record.keep), math.max(record.keep - now, 1)
  end
  local text =
    string.format('sw1 r %d %d %d %d %s', record.fence, record.attempt, record.keep, record.lease, record.owner)
  return text, math.max(math.max(record.keep, record.lease) - now, 1)
end

-- Also at a server that is full: it refuses a script's first write if that may grow, and this one does not.
local function settle(key, text, ttl)
  redis.call('PEXPIRE', key, ttl)
  redis.call('SET', key, text, 'PX', ttl)
end
