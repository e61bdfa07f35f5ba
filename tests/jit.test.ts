// The compiler: the same numbers as without it, nothing frozen, nothing left behind. Recording
// needs the tensorflow backend.
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { inspect } from 'node:util'
import { tf, useBackend } from 'miniai/engine'
import { JitRandom, jit } from 'miniai/jit'
import { Module } from 'miniai/training'
import { hasTensorflow, runChild } from './children'
import { cases } from './ops'

const onTensorflow = (title: string, f: () => void | Promise<void>) =>
  it(title, async function () {
    if (!hasTensorflow) return this.skip()
    await useBackend('tensorflow')
    await f()
  })

const folders = () =>
  readdirSync(tmpdir()).filter(name => name.startsWith(`miniai-jit-${process.pid}-`))
const number = (t: tf.Tensor) => t.dataSync()[0]
const isClose = (a: number, b: number, eps: number, size = 1) =>
  Object.is(a, b) || Math.abs(a - b) <= eps * Math.max(size, Math.abs(b))
const close = (a: number, b: number, eps: number) =>
  assert.ok(isClose(a, b, eps), `${a} and ${b} differ by more than ${eps}`)

/** Numbers that look random and are the same everywhere. */
function numbers(shape: number[], [from, to]: [number, number], seed: number): tf.Tensor {
  let s = seed * 7919 + 12345
  const next = () => from + (to - from) * (s = (s * 16807) % 2147483647) / 2147483647
  return tf.tensor(Float32Array.from({ length: tf.util.sizeFromShape(shape) }, next), shape)
}

function mlp(optimizer: tf.Optimizer) {
  const ws = [tf.variable(numbers([6, 8], [-1, 1], 1)), tf.variable(numbers([8, 1], [-1, 1], 2))]
  return (x: tf.Tensor, y: tf.Tensor) => optimizer.minimize(() => {
    const h = tf.tanh(tf.matMul(x as tf.Tensor2D, ws[0] as tf.Tensor2D))
    return tf.mean(tf.square(tf.sub(tf.matMul(h, ws[1] as tf.Tensor2D), y))) as tf.Scalar
  }, true, ws)!
}
const batch = (seed: number, n = 5): [tf.Tensor, tf.Tensor] =>
  [numbers([n, 6], [-1, 1], seed), numbers([n, 1], [-1, 1], seed + 1)]

for (const xla of [false, true]) {
  const how = xla ? 'by XLA' : 'as a graph'
  onTensorflow(`jit(f) ${how} gives what f gives, for every operation of the course`, () => {
    const wrong: string[] = []
    const chosen = cases.filter(c => !c.name.startsWith('train.') && !(xla && c.isForward))
    for (const c of chosen) tf.tidy(() => {
      const xs = c.inputs.map((shape, i) => numbers(shape, c.range, i + 1))
      const f = (...xs: tf.Tensor[]) => c.f(...xs), g = jit(f, { xla })
      const list = (o: tf.Tensor | tf.Tensor[]) => [o].flat().map(t => [...t.dataSync()])
      g(...xs)
      g(...xs)
      const ours = list(g(...xs)), eager = list(f(...xs))
      const isSame = eager.every((row, k) => {
        const size = Math.max(1e-6, ...row.map(Math.abs).filter(Number.isFinite))
        return row.every((v, i) => isClose(ours[k][i], v, 1e-5, size))
      })
      if (!isSame) wrong.push(c.name)
      g.dispose()
    })
    assert.deepEqual(wrong, [])
  }).timeout(600000)

  for (const name of ['sgd', 'adam', 'rmsprop'] as const) {
    onTensorflow(`100 training steps by ${name} end ${how} within 1e-3 of the plain ones`, () => {
      const [plain, compiled] = [mlp(tf.train[name](0.02)), jit(mlp(tf.train[name](0.02)), { xla })]
      for (let i = 0; i < 100; i++) {
        const [a, b] = [number(plain(...batch(i % 7))), number(compiled(...batch(i % 7)))]
        close(b, a, i < 10 ? 1e-5 : 1e-3)
      }
    }).timeout(120000)
  }
}

onTensorflow('another shape is recorded anew, and at most `keep` recordings stay', () => {
  const { binding } = tf.backend() as any
  const sessions = () => binding.getNumOfSavedModels() as number, before = sessions()
  const f = jit((x: tf.Tensor) => tf.sum(x), { keep: 3 })
  const shapes = [1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5, 6]
  for (const n of shapes) for (let i = 0; i < 3; i++) assert.equal(number(f(tf.ones([n]))), n)
  assert.equal(sessions() - before, 3)
  f.dispose()
  assert.equal(sessions(), before)
})

onTensorflow('another dtype is recorded anew', () => {
  const f = jit((x: tf.Tensor) => tf.add(x, x))
  for (const dtype of ['float32', 'int32'] as const) {
    for (let i = 0; i < 3; i++) assert.equal(f(tf.tensor([1], [1], dtype)).dtype, dtype)
  }
})

onTensorflow('lists and objects of tensors go in and come out', () => {
  const f = jit(({ a, b }: { a: tf.Tensor, b: tf.Tensor[] }, k: number) =>
    ({ sum: tf.add(a, b[0]), list: [tf.mul(b[1], k)] }))
  for (let i = 1; i < 5; i++) {
    const o = f({ a: tf.scalar(i), b: [tf.scalar(10), tf.scalar(i)] }, 3)
    assert.deepEqual([number(o.sum), number(o.list[0])], [10 + i, 3 * i])
  }
})

onTensorflow('the same tensor given twice is not taken for one argument', () => {
  const f = jit((a: tf.Tensor, b: tf.Tensor) => tf.sub(a, b)), x = tf.scalar(3)
  for (let i = 0; i < 3; i++) assert.equal(number(f(x, x)), 0)
  assert.equal(number(f(tf.scalar(5), tf.scalar(1))), 4)
})

onTensorflow('a variable set from outside is seen, one given as an argument is assigned', () => {
  const v = tf.variable(tf.scalar(1)), w = tf.variable(tf.scalar(100))
  const f = jit((v: tf.Variable) => { v.assign(tf.add(v, 1)); return tf.mul(v, 2) })
  for (let i = 0; i < 4; i++) f(v)
  v.assign(tf.scalar(50))
  assert.equal(number(f(v)), 102)
  f(w); f(w); f(w)
  assert.deepEqual([number(v), number(w)], [51, 103])
})

onTensorflow('a clone of a variable keeps its value when a compiled step changes it', () => {
  const v = tf.variable(tf.scalar(1)), f = jit(() => { v.assign(tf.add(v, 1)); return tf.clone(v) })
  for (let i = 0; i < 3; i++) f()
  const kept = v.clone()
  f()
  assert.deepEqual([number(kept), number(v)], [4, 5])
})

onTensorflow('a captured tensor is read at each call, and an error once it is disposed', () => {
  const c = tf.scalar(2), f = jit((x: tf.Tensor) => tf.mul(x, c))
  for (let i = 0; i < 3; i++) assert.equal(number(f(tf.scalar(i))), 2 * i)
  c.dispose()
  const expected = /^Error: jit: .* a tensor of shape \[\] that has been disposed; keep it, or /
  assert.throws(() => f(tf.scalar(1)), expected)
})

onTensorflow('a disposed argument is an error', () => {
  const x = tf.ones([2, 3])
  x.dispose()
  const expected = /^Error: jit: an argument of shape \[2,3\] has been disposed$/
  assert.throws(() => jit((x: tf.Tensor) => tf.neg(x))(x), expected)
})

onTensorflow('reading a value inside is refused: dataSync, data, arraySync, print', () => {
  const readers: Record<string, (x: tf.Tensor) => unknown> = { dataSync: x => x.dataSync(),
    data: x => x.data(), arraySync: x => x.arraySync(), print: x => x.print(), inspect }
  const expected = /^Error: jit: the function reads a value .* read it outside$/
  for (const [name, read] of Object.entries(readers)) {
    const f = jit((x: tf.Tensor) => { const y = tf.neg(x); read(y); return y })
    assert.throws(() => f(tf.ones([2])), expected, name)
  }
  assert.equal(tf.tensor([4]).dataSync()[0], 4)
})

onTensorflow('reading a constant made inside is allowed', () => {
  const f = jit((x: tf.Tensor) => tf.mul(x, tf.scalar(3).dataSync()[0]))
  for (let i = 0; i < 3; i++) assert.equal(number(f(tf.scalar(i))), 3 * i)
})

onTensorflow('random numbers drawn inside are refused, whoever draws them', () => {
  const draws: Record<string, (x: tf.Tensor) => tf.Tensor> = {
    dropout: x => tf.dropout(x, 0.5),
    randomNormal: x => tf.add(x, tf.randomNormal([2])),
    randomUniform: x => tf.add(x, tf.randomUniform([2])),
    'Math.random': x => tf.mul(x, Math.random())
  }
  const random = Math.random, expected = /^Error: jit: the function draws random numbers/
  for (const [name, draw] of Object.entries(draws)) {
    assert.throws(() => jit(draw)(tf.ones([2])), expected, name)
  }
  assert.equal(Math.random, random)
})

onTensorflow('a count kept in JavaScript is refused at the second call', () => {
  let n = 0
  const f = jit((x: tf.Tensor) => tf.mul(x, tf.scalar(++n)))
  f(tf.ones([1]))
  assert.throws(() => f(tf.ones([1])), /^Error: jit: a tensor that the function makes anew differs/)
})

onTensorflow('an outside tensor that is another at each call is refused', () => {
  let outside = tf.ones([2])
  const f = jit((x: tf.Tensor) => tf.add(x, outside))
  f(tf.ones([2]))
  outside = tf.zeros([2])
  const expected = /^Error: jit: the function uses another outside tensor at each call; make it/
  assert.throws(() => f(tf.ones([2])), expected)
})

onTensorflow('a function without results and effects can be called', () => {
  const f = jit((x: tf.Tensor) => { tf.neg(x) })
  for (let i = 0; i < 4; i++) assert.equal(f(tf.ones([2])), undefined)
})

onTensorflow('a function that takes another path each time is refused', () => {
  let n = 0
  const f = jit((x: tf.Tensor) => { for (let i = 0; i <= n; i++) x = tf.neg(x); n++; return x })
  const calls = () => { for (let i = 0; i < 9; i++) f(tf.ones([1])) }
  assert.throws(calls, /^Error: jit: the function did something else/)
})

onTensorflow('an async function, and a result that is no tensor, are refused', () => {
  const late = jit(async (x: tf.Tensor) => tf.neg(x))
  assert.throws(() => late(tf.ones([1])), /^Error: jit: the function is async/)
  assert.throws(() => jit(() => 3)(), /^Error: jit: the function returns 3, .*return tensors$/)
})

onTensorflow('an error thrown inside comes through, and the next call works', () => {
  let isBad = true
  const f = jit((x: tf.Tensor) => { if (isBad) throw new RangeError('mine'); return tf.neg(x) })
  assert.throws(() => f(tf.ones([1])), /^RangeError: mine$/)
  isBad = false
  for (let i = 0; i < 3; i++) assert.equal(number(f(tf.scalar(i))), -i)
})

onTensorflow('what XLA cannot compile runs as a graph, which is said once', () => {
  const backend = tf.backend() as any, { binding } = backend, { warn } = console
  const said: string[] = []
  let runs = 0
  backend.binding = Object.create(binding, { runSavedModel: { value(...args: unknown[]) {
    if (!runs++) throw new Error('no such kernel')
    return binding.runSavedModel(...args)
  } } })
  console.warn = (line: string) => said.push(line)
  try {
    const f = jit(function twice(x: tf.Tensor) { return tf.mul(x, 2) }, { xla: true })
    for (let i = 0; i < 6; i++) assert.equal(number(f(tf.scalar(i))), 2 * i)
    assert.match(inspect(f), /float32\[\]: graph$/)
  } finally {
    backend.binding = binding
    console.warn = warn
  }
  assert.deepEqual(said, ['jit: XLA cannot compile twice, it goes on as a graph: no such kernel'])
})

onTensorflow('a plain graph becomes XLA\'s when it has run long enough', () => {
  const f = jit((x: tf.Tensor) => tf.sum(tf.exp(tf.sin(x)))), stages = new Set<string>()
  const run = (x: tf.Tensor, n: number) => {
    for (let i = 0; i < n; i++) {
      tf.dispose(f(x))
      stages.add(inspect(f).split(': ').at(-1)!)
    }
  }
  run(tf.ones([4]), 12000)
  assert.deepEqual([...stages], ['recording', 'graph']) // of small operations it stays a graph
  stages.clear()
  run(tf.ones([1000, 1200]), 200)
  assert.deepEqual([...stages], ['recording', 'graph', 'xla'])
  assert.equal(process.env.MINIAI_GRAPH_THREADS, undefined)
})

onTensorflow('inside a gradient or another jit the function is called as it is', () => {
  const square = jit((x: tf.Tensor) => tf.square(x) as tf.Tensor)
  const outer = jit((x: tf.Tensor) => tf.add(square(x), 1))
  for (let i = 0; i < 4; i++) {
    assert.equal(number(square(tf.scalar(3))), 9)
    assert.equal(number(tf.grad(square)(tf.scalar(3))), 6)
    assert.equal(number(outer(tf.scalar(3))), 10)
  }
})

onTensorflow('2,000 calls leave no tensor, no memory and no file behind', () => {
  const step = jit(mlp(tf.train.adam(0.01))), [x, y] = batch(3, 64)
  const calls = (n: number) => { for (let i = 0; i < n; i++) tf.dispose(step(x, y)) }
  calls(500)
  const tensors = tf.memory().numTensors, resident = process.memoryUsage.rss()
  calls(2000)
  assert.equal(tf.memory().numTensors, tensors)
  const growth = process.memoryUsage.rss() - resident
  assert.ok(growth < 20e6, `grew by ${growth} bytes`)
  assert.deepEqual(folders(), [])
}).timeout(120000)

onTensorflow('a loop of k steps inside one call ends where k calls end', () => {
  const w = numbers([3, 3], [-0.5, 0.5], 1), x = numbers([4, 3], [-1, 1], 2)
  const step = (x: tf.Tensor): tf.Tensor => tf.add(x, tf.tanh(tf.matMul(x, w)))
  const loop = (x: tf.Tensor, k: number) => { for (let i = 0; i < k; i++) x = step(x); return x }
  for (const xla of [false, true]) {
    const [one, all] = [jit(step, { xla }), jit(loop, { xla })]
    for (const k of [1, 5, 1, 5, 1, 5]) {
      let by: tf.Tensor = x
      for (let i = 0; i < k; i++) by = one(by)
      const [a, b] = [by.dataSync(), all(x, k).dataSync()]
      a.forEach((v, i) => close(b[i], v, 1e-5))
    }
  }
})

onTensorflow('a small graph runs in the thread that calls it', () => {
  const v = tf.variable(tf.zeros([4]))
  const f = jit((x: tf.Tensor) => { v.assign(tf.add(v, x)); return tf.neg(v) }, { xla: false })
  const x = tf.ones([4]), calls = () => { for (let i = 0; i < 1000; i++) tf.dispose(f(x)) }
  calls()
  const before = process.resourceUsage().voluntaryContextSwitches
  calls()
  const switches = process.resourceUsage().voluntaryContextSwitches - before
  assert.ok(switches < 500, `${switches} changes of thread in 1,000 calls`)
})

onTensorflow('a variable that other code changes between calls is right each time', () => {
  const v = tf.variable(tf.scalar(1))
  const double = jit(() => { v.assign(tf.mul(v, 2)); return tf.add(v, 0) })
  const inc = jit(() => { v.assign(tf.add(v, 1)); return tf.add(v, 0) })
  let expected = 1
  for (let i = 0; i < 4; i++) {
    expected = 2 * (expected *= 2) // a compiled call, then eager code
    assert.equal(number(double()) * 2, expected)
    v.assign(tf.mul(v, 2))
    assert.equal(number(v), expected)
    assert.equal(number(inc()), ++expected)
    assert.equal(number(tf.square(v)), expected ** 2)
  }
  v.dispose()
  assert.throws(double, /^Error: jit: .* a tensor of shape \[\] that has been disposed/)
})

onTensorflow('recording anew for 200 shapes does not fill the memory', () => {
  const { out, err } = runChild(`await useBackend('tensorflow')
const { jit } = require('miniai/jit')
const f = jit(x => tf.sum(x), { keep: 2 }) // a hundred graphs that stayed would take 15 MB
const shapes = (from, to) => {
  for (let n = from; n < to; n++) tf.tidy(() => { for (let i = 0; i < 3; i++) f(tf.ones([n])) })
  gc()
  return [tf.memory().numTensors, process.memoryUsage.rss()]
}
const [before, after] = [shapes(1, 100), shapes(100, 200)]
console.log(after[0] - before[0], (after[1] - before[1]) / 1e6)`, {}, ['--expose-gc'])
  const [tensors, megabytes] = out.split(' ').map(Number)
  assert.equal(tensors, 0, err)
  assert.ok(megabytes < 8, `${megabytes} MB`)
}).timeout(120000)

onTensorflow('JitRandom draws the same with jit and without, and goes on from its state', () => {
  const [a, b] = [new JitRandom(7), new JitRandom(7)], f = jit(() => b.normal([4]), { xla: true })
  const rows = [1, 2, 3, 4, 5].map(() => [[...a.normal([4]).dataSync()], [...f().dataSync()]])
  for (const [x, y] of rows) assert.deepEqual(x, y)
  assert.equal(new Set(rows.map(r => r[0][0])).size, 5)
  const c = new JitRandom(0)
  c.state.assign(a.state)
  assert.deepEqual(c.uniform([3]).dataSync(), a.uniform([3]).dataSync())
})

onTensorflow('dropout with JitRandom can be compiled and drops others each time', () => {
  const random = new JitRandom(3)
  const f = jit((x: tf.Tensor) => tf.mul(x, tf.greater(random.uniform([100]), 0.5)))
  const sums = [1, 2, 3, 4, 5, 6].map(() => number(tf.sum(f(tf.ones([100])))))
  assert.ok(new Set(sums).size > 2)
  for (const s of sums) assert.ok(s > 25 && s < 75, `${s} of 100 left`)
})

it('on another backend jit(f) calls f, and JitRandom draws other numbers each time', async () => {
  await useBackend('wasm')
  let calls = 0
  const random = new JitRandom(5)
  const f = jit((x: tf.Tensor) => { calls++; return tf.add(x, random.normal([2])) })
  const drawn = [1, 2, 3, 4].map(() => number(f(tf.zeros([2]))))
  assert.equal(calls, 4)
  assert.equal(new Set(drawn).size, 4)
})

onTensorflow('functions and objects among the arguments are told apart by what they are', () => {
  const times = (k: number) => (x: tf.Tensor) => tf.mul(x, k)
  const g = jit((x: tf.Tensor, f: (x: tf.Tensor) => tf.Tensor) => f(x)), [two, three] = [2, 3].map(times)
  for (let i = 1; i < 5; i++) {
    assert.deepEqual([two, three].map(f => number(g(tf.scalar(i), f))), [2 * i, 3 * i])
  }
  const kinds = [NaN, Infinity, -Infinity, null, undefined, 0, -0, 7n, '7', new Map(), new Map()]
  const h = jit((x: tf.Tensor, kind: unknown) => tf.mul(x, kinds.findIndex(o => Object.is(o, kind))))
  for (let i = 0; i < 4; i++) {
    assert.deepEqual(kinds.map(o => number(h(tf.scalar(1), o))), kinds.map((_, k) => k))
  }
  const own: { own?: object } = {}
  own.own = own
  assert.throws(() => h(tf.scalar(1), own), /^Error: jit: an argument contains itself$/)
})

onTensorflow('a number from outside stays as it was in the first two calls, as said', () => {
  let k = 1
  const f = jit((x: tf.Tensor) => tf.mul(x, k))
  const seen = [1, 1, 1, 10, 10].map(now => { k = now; return number(f(tf.scalar(1))) })
  assert.deepEqual(seen, [1, 1, 1, 1, 1])
})

onTensorflow('a tensor disposed before the first or the second call is told in one sentence', () => {
  for (const when of [0, 1]) {
    const c = tf.ones([2, 3]), f = jit((x: tf.Tensor) => tf.add(x, c))
    for (let i = 0; i < when; i++) f(tf.ones([2, 3]))
    c.dispose()
    assert.throws(() => f(tf.ones([2, 3])), /^Error: jit: .* of shape \[2,3\] .* disposed; keep it/)
  }
})

onTensorflow('a tensor from outside that is given back stays its owner\'s', () => {
  const c = tf.scalar(7), f = jit(() => c)
  for (let i = 0; i < 4; i++) {
    const o = f()
    assert.equal(number(o), 7)
    o.dispose()
    assert.ok(!c.isDisposed)
  }
  assert.equal(number(c), 7)
})

onTensorflow('a refused call leaves no tensor behind', () => {
  let n = 0
  const odd = jit((x: tf.Tensor) => [tf.neg(x), 3]), counts = jit((x: tf.Tensor) => tf.mul(x, ++n))
  const x = tf.scalar(1), before = tf.memory().numTensors
  for (let i = 0; i < 3; i++) assert.throws(() => odd(x), /return tensors$/)
  counts(x).dispose()
  assert.throws(() => counts(x), /differs from one call to the next/)
  assert.equal(tf.memory().numTensors, before)
})

it('JitRandom in a layer is stored with it, and not learned', () => {
  class Noisy extends Module {
    noise = new JitRandom(7)
    forward(x: tf.Tensor) { return tf.add(x, this.noise.normal(x.shape)) }
  }
  const [a, b] = [new Noisy(), new Noisy()]
  assert.deepEqual([Object.keys(a.state()), Object.keys(a.params())], [['noise'], []])
  a.call(tf.zeros([3]))
  b.state().noise.assign(a.state().noise)
  assert.deepEqual(...[a, b].map(o => o.call(tf.zeros([3])).dataSync()) as [unknown, unknown])
})

it('JitRandom refuses a seed or a shape that it would have to bend, and an end', () => {
  for (const seed of [NaN, 1.5, -1, 2 ** 40]) {
    const message = `JitRandom: wanted a whole number ≥ 0, below 2³¹, got ${seed}`
    assert.throws(() => new JitRandom(seed), { name: 'RangeError', message })
  }
  const random = new JitRandom(1), message = 'JitRandom: wanted a shape of whole numbers ≥ 0, got [2.5]'
  assert.throws(() => random.normal([2.5]), { message })
  random.dispose()
  assert.throws(() => random.uniform([2]), { message: 'JitRandom: its state has been disposed' })
})
