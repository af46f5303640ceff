local owner, lease, keep = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
if newer then
  -- Whoever wrote it knows when it ends; we only know not to touch it.
  return { 'in progress', lease }
end
if not holds(owner) then
  if leased then
    return { 'in progress', record.lease - now }
  end
  if record.state == 'c' and known then
    return { 'completed' }
  end
  record.fence = math.max(record.fence + 1, now)
  record.attempt = (known and record.attempt or 0) + 1
end
record.state, record.owner = 'r', owner
record.lease, record.keep = now + lease, now + keep
put()
return { 'acquired', record.fence, record.attempt }
