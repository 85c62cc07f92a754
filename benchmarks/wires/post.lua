-- wrk sends one body over and over. Arguments: the body's file and its media type.
-- The last line that it prints is for the caller: requests, microseconds, failures.

function init(arguments)
  local file = assert(io.open(arguments[1], "rb"))
  wrk.method = "POST"
  wrk.body = file:read("*all")
  wrk.headers["Content-Type"] = arguments[2]
  file:close()
end

function done(summary)
  local errors = summary.errors
  local failures = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  io.write(string.format("\n%d %d %d\n", summary.requests, summary.duration, failures))
end
