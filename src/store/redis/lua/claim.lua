-- All keys or none: { 'acquired', how many were taken over, fence, attempt, fence, attempt, … }, or what the
-- first that is taken is.
local owner, lease, keep = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local records, answer = {}, { 'acquired', 0 }
for place, key in ipairs(KEYS) do
  local record = read(key)
  if record.unreadable == 'foreign' then
    return { 'foreign' }
  end
  if record.unreadable then
    -- Whoever wrote it knows when it ends; we only know not to touch it.
    return { 'in progress', place, lease }
  end
  if not holds(record, owner) then
    if record.leased then
      return { 'in progress', place, record.lease - now }
    end
    if record.state == 'c' and record.known then
      return { 'completed', place }
    end
    if record.state == 'r' and record.known then
      answer[2] = answer[2] + 1
    end
    record.fence = math.max(record.fence + 1, now)
    record.attempt = (record.known and record.attempt or 0) + 1
  end
  record.state, record.owner = 'r', owner
  record.lease, record.keep = now + lease, now + keep
  records[place] = record
  answer[2 * place + 1], answer[2 * place + 2] = record.fence, record.attempt
end
-- Only now is anything written: a server that is full, or read-only, still says what it knows.
for place, key in ipairs(KEYS) do
  put(key, records[place])
end
return answer
