-- Requests of `closed_loop.py`: the bodies of a file, one a line, in turn; at the end what wrk found, as one line of JSON.
local bodies, place = {}, 0

function init(args)
  for line in io.lines(args[1]) do
    bodies[#bodies + 1] = wrk.format("POST", nil, {["content-type"] = "application/json"}, line)
  end
end

function request()
  place = place % #bodies + 1
  return bodies[place]
end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    '\n{"requests": %d, "seconds": %.6f, "p50_us": %d, "p99_us": %d, "refused": %d, "broken": %d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50), latency:percentile(99), errors.status,
    errors.connect + errors.read + errors.write + errors.timeout))
end
