-- Claims keys of which at least one is not new. Answers { 'acquired', how many were taken over, fence, attempt, fence,
-- attempt, … }, or the state of the first key that is not free.
local records, answer = {}, { 'acquired', 0 }
for place, key in ipairs(KEYS) do
  local text = get(key)
  if text == 'sw1 c' then
    return { 'completed', place }
  end
  local record = text and parse(text)
  if text and not record then
    if standing(text, owner) == FOREIGN then
      return { 'foreign' }
    end
    -- Only the newer version that wrote the record knows when it ends. This one must not touch it.
    return { 'in progress', place, tonumber(lease) }
  end
  record = record or { fence = 0, attempt = 0, lease = 0 }
  if record.owner ~= owner then
    if now < record.lease then
      return { 'in progress', place, record.lease - now }
    end
    if record.owner then
      answer[2] = answer[2] + 1
    end
    record.fence = math.max(record.fence + 1, now)
    record.attempt = record.attempt + 1
  end
  record.owner, record.lease, record.keep = owner, now + lease, now + keep
  records[place] = record
  answer[2 * place + 1], answer[2 * place + 2] = record.fence, record.attempt
end
-- Nothing that lasts is written before this, so a full or read-only server can still answer for a key that is taken.
for place, key in ipairs(KEYS) do
  local text, ttl = write(records[place], now)
  redis.call('SET', key, text, 'PX', ttl)
end
return answer
