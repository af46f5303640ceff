if newer then
  return { 'newer' }
end
if not holds(ARGV[1]) then
  return { 'lost' }
end
record.lease = now + tonumber(ARGV[2])
put()
return { 'done' }
