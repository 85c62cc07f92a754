-- wrk sends requests as they stand in files, in turns. Arguments: the files.
-- The last line that it prints is for the caller: requests, microseconds, failures, bytes of the answers.

local requests, turn = {}, 0

function init(arguments)
  for place, name in ipairs(arguments) do
    local file = assert(io.open(name, "rb"))
    requests[place] = file:read("*all")
    file:close()
  end
end

function request()
  turn = turn % #requests + 1
  return requests[turn]
end

function done(summary)
  local errors = summary.errors
  local failures = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  io.write(string.format("\n%d %d %d %d\n", summary.requests, summary.duration, failures, summary.bytes))
end
