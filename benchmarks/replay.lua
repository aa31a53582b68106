-- Replays calls from a file: METHOD, path, token and body in one line each, separated by tabs. The arguments are the
-- file and from which line on; each thread of several takes its own share. Prints one line of JSON at the end.

local thread_count = 0

function setup(thread)
    thread:set("number", thread_count)
    thread_count = thread_count + 1
    thread:set("threads", tonumber(os.getenv("WRK_THREADS") or "1"))
end

function init(arguments)
    calls = {}
    place = 0
    local line_number = 0
    for line in io.lines(arguments[1]) do
        if line_number % threads == number then
            local method, path, token, body = line:match("^(%S+)\t(%S+)\t(%S*)\t(.*)$")
            local headers = {["Authorization"] = "Bearer " .. token}
            if body == "" then
                body = nil
            else
                headers["Content-Type"] = "application/json"
            end
            calls[#calls + 1] = wrk.format(method, path, headers, body)
        end
        line_number = line_number + 1
    end
end

function request()
    place = place + 1
    return calls[(place - 1) % #calls + 1]
end

function done(summary, latency, requests)
    local errors = summary.errors
    io.write(string.format(
        '\nRESULT {"requests": %d, "seconds": %.6f, "p50": %.3f, "p99": %.3f, "refused": %d, "broken": %d}\n',
        summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
        errors.status, errors.connect + errors.read + errors.write + errors.timeout
    ))
end
