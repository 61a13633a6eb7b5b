package redisviews

import "github.com/redis/go-redis/v9"

// Every script takes the base of one version's keys as its only key: all others are in the same slot by their hash tag.
// Scripts declare themselves by a shebang, so that Redis refuses one that lacks memory before it begins, never inside.

// common finds the generation in use, or nil when there is none or it lost something.
const common = `
local function standing(b)
  local gen = redis.call('GET', b..'m')
  if not gen then return nil end
  local g = redis.call('HMGET', b..gen..':g', 'seq', 'at', 'n', 'live', 'last')
  if not g[1] then return nil end
  local n = tonumber(g[3])
  if redis.call('HLEN', b..gen..':r') ~= n or redis.call('ZCARD', b..gen..':k') ~= n then return nil end
  return gen, g
end
local function bury(b, ms)
  local gen = redis.call('GET', b..'m')
  if not gen then return end
  redis.call('DEL', b..'m')
  for _, k in ipairs({':g', ':r', ':k'}) do redis.call('PEXPIRE', b..gen..k, ms) end
end
local function begin(b, gen, live)
  redis.call('SET', b..'m', gen)
  redis.call('HSET', b..gen..':g', 'seq', '0', 'at', '0', 'n', '0', 'live', live, 'last', '')
end
`

// openScript: {} or {gen, seq, at, n, live, last}.
var openScript = redis.NewScript("#!lua flags=no-writes" + common + `
local gen, g = standing(KEYS[1])
if not gen then return {} end
return {gen, g[1], g[2], g[3], g[4], g[5]}
`)

// liveScript(new generation) marks a version as one that readers may see; it makes an empty one if there is none.
var liveScript = redis.NewScript("#!lua" + common + `
local b = KEYS[1]
local gen = standing(b)
if gen then
  redis.call('HSET', b..gen..':g', 'live', '1')
else
  bury(b, 1)
  begin(b, ARGV[1], '1')
end
return 1
`)

// dropScript(ms) makes a version be none; its keys go after ms.
var dropScript = redis.NewScript("#!lua" + common + `
bury(KEYS[1], ARGV[1])
return 1
`)

// readScript(gen, seq, most, kind, …) reads rows and what batches after seq replaced:
// {seq now, undo of seq+1, …, of at most `most` batches, rows}. Rows are only there when all undo is. kind is "g" keys… for
// values, or "s" from, to, "0" or "1" for reverse, count for keys and values.
// {-1}: the generation is gone. {-2}: what a batch replaced is gone.
var readScript = redis.NewScript(`#!lua flags=no-writes
local b = KEYS[1]..ARGV[1]
local now = tonumber(redis.call('HGET', b..':g', 'seq') or '-1')
if now < 0 then return {-1} end
local from, most = tonumber(ARGV[2]), tonumber(ARGV[3])
local upto = math.min(now, from + most)
local undo = {}
for s = from + 1, upto do
  local u = redis.call('HGETALL', b..':u:'..s)
  if #u == 0 then return {-2} end
  undo[#undo+1] = u
end
if upto < now then return {upto, undo} end
if ARGV[4] == 'g' then
  return {now, undo, redis.call('HMGET', b..':r', unpack(ARGV, 5))}
end
local keys
if ARGV[7] == '1' then
  keys = redis.call('ZRANGE', b..':k', ARGV[6], ARGV[5], 'BYLEX', 'REV', 'LIMIT', 0, ARGV[8])
else
  keys = redis.call('ZRANGE', b..':k', ARGV[5], ARGV[6], 'BYLEX', 'LIMIT', 0, ARGV[8])
end
if #keys == 0 then return {now, undo, {}, {}} end
return {now, undo, keys, redis.call('HMGET', b..':r', unpack(keys))}
`)

// commitScript(gen, seq, prev, next, new generation, token, undo ms, pairs, …) stores a batch: `pairs` keys with their
// values, then keys to delete. Values that are staged come from lists named by the token instead. It answers {1, gen, seq},
// or {0, checkpoint} when the version is not where the batch began.
var commitScript = redis.NewScript("#!lua" + common + `
local b = KEYS[1]
local want, prev, next, token, ms = ARGV[1], ARGV[3], ARGV[4], ARGV[6], ARGV[7]
local gen, g = standing(b)
if gen and g[5] == token then return {1, gen, g[1]} end -- Only the answer was lost.
if not gen then
  if want ~= '' or prev ~= '0' then return {0, '0'} end
  bury(b, ms)
  gen = ARGV[5]
  begin(b, gen, '0')
  g = {'0', '0', '0', '0', ''}
elseif gen ~= want or g[1] ~= ARGV[2] or g[2] ~= prev then
  return {0, g[2]}
end
local p = b..gen
local live = g[4] == '1'
local seq, n = tonumber(g[1]), tonumber(g[3])
local wrote = false
local undo = p..':u:'..(seq + 1)
local function remember(keys)
  if not live then return end
  local old, args = redis.call('HMGET', p..':r', unpack(keys)), {}
  for i, k in ipairs(keys) do
    args[#args+1] = k
    args[#args+1] = old[i] and ('1'..old[i]) or '0'
  end
  redis.call('HSET', undo, unpack(args))
end
local function set(t, i, j)
  local keys, ordered = {}, {}
  for x = i, j, 2 do
    keys[#keys+1] = t[x]
    ordered[#ordered+1] = 0
    ordered[#ordered+1] = t[x]
  end
  remember(keys)
  wrote = true
  if redis.call('HSET', p..':r', unpack(t, i, j)) > 0 then
    n = n + redis.call('ZADD', p..':k', unpack(ordered))
  end
end
local function del(t, i, j)
  local keys = {unpack(t, i, j)}
  remember(keys)
  wrote = true
  if redis.call('HDEL', p..':r', unpack(keys)) > 0 then
    n = n - redis.call('ZREM', p..':k', unpack(keys))
  end
end
local function each(list, step, f)
  local len = redis.call('LLEN', list)
  for i = 0, len - 1, step do
    local part = redis.call('LRANGE', list, i, i + step - 1)
    f(part, 1, #part)
  end
  redis.call('DEL', list)
end
local pairs_, first = tonumber(ARGV[8]), 9
if pairs_ < 0 then
  each(b..'s:'..token, 500, set)
  each(b..'d:'..token, 500, del)
else
  local last = first + 2 * pairs_ - 1
  for i = first, last, 500 do set(ARGV, i, math.min(i + 499, last)) end
  for i = last + 1, #ARGV, 500 do del(ARGV, i, math.min(i + 499, #ARGV)) end
end
if wrote then
  seq = seq + 1
  if live then redis.call('PEXPIRE', undo, ms) end
end
redis.call('HSET', p..':g', 'seq', string.format('%d', seq), 'at', next, 'n', string.format('%d', n), 'last', token)
return {1, gen, string.format('%d', seq)}
`)
