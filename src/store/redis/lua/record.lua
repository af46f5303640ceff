-- Reads and writes records.
--
-- A record is text, so that `redis-cli get` shows it:
--   sw1 r <fence> <attempt> <keep until> <lease until> <owner>    in progress (running)
--   sw1 c                                                         completed
--   sw1 f <fence> <attempt> <keep until>                          retryable (failed)
-- Times are in ms since 1970 by the server's clock. Every existing record is valid: the server deletes a record once
-- its retention and its lease have ended.

-- Returns the text of a key, or an empty text for a value of another type, which is foreign too.
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

-- Returns the fields of a record that is not completed, or nil.
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

-- Returns the standing of a record for an owner. The worst of several is the largest.
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

-- Returns the text of a record (running if it has an owner, otherwise retryable), and how long to keep it.
local function write(record, now)
  if not record.owner then
    return string.format('sw1 f %d %d %d', record.fence, record.attempt, record.keep), math.max(record.keep - now, 1)
  end
  local text =
    string.format('sw1 r %d %d %d %d %s', record.fence, record.attempt, record.keep, record.lease, record.owner)
  return text, math.max(math.max(record.keep, record.lease) - now, 1)
end

-- Writes a record, even at a full server: it refuses a script whose first write may use memory, and PEXPIRE does not.
local function settle(key, text, ttl)
  redis.call('PEXPIRE', key, ttl)
  redis.call('SET', key, text, 'PX', ttl)
end
