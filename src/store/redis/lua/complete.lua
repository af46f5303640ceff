local owner, fence, keep = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
if newer then
  return { 'newer' }
end
local settled = holds(owner) and 'done' or 'lost'
local ends = now + keep
if record.state == 'c' then
  -- Two may have reported it: the longer promise counts.
  ends = math.max(ends, record.keep)
end
record.state, record.keep = 'c', ends
record.fence = math.max(record.fence, fence)
record.attempt = math.max(record.attempt, 1)
put()
return { settled }
