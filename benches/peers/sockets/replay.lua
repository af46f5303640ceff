-- Sends each request of the file once, and stops when all are answered.

local requests, sent, answered = {}, 0, 0

function init()
  local file = assert(io.open(os.getenv("REQUESTS"), "rb"))
  while true do
    local bytes = file:read("*l")
    if not bytes then break end
    requests[#requests + 1] = file:read(tonumber(bytes))
  end
  file:close()
end

function request()
  sent = sent + 1
  -- A connection that has nothing left to send waits for the others.
  return requests[sent] or ""
end

function response(status)
  answered = answered + 1
  if status ~= 200 then
    io.stderr:write("answered with " .. status .. "\n")
    os.exit(1)
  end
  -- wrk takes the first to look at, and does not send it.
  if answered == #requests - 1 then
    -- To stop the thread would leave wrk asleep until its duration is over.
    os.exit(0)
  end
end
