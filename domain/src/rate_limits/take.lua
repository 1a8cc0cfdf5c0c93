-- Lets a request through, or says how many milliseconds it comes too early.
-- KEYS[1]: when the newest requests were let through, oldest first. ARGV: how many in how many milliseconds.
-- Redis' own clock counts, which all processes share.
local limit, window = tonumber(ARGV[1]), tonumber(ARGV[2])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local first = tonumber(redis.call('LINDEX', KEYS[1], -limit) or 0)
if first + window > now then
  return math.min(first + window - now, window)
end
redis.call('RPUSH', KEYS[1], now)
redis.call('LTRIM', KEYS[1], -limit, -1)
redis.call('PEXPIRE', KEYS[1], window)
return 0
