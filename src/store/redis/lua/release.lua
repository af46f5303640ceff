if newer then
  return { 'newer' }
end
if not holds(ARGV[1]) then
  return { 'lost' }
end
record.state = 'f'
put()
return { 'done' }
