import assert from 'node:assert/strict'
import { runChild } from './children'

it('startWasm(n) computes with n threads and leaves nothing behind in the process', () => {
  for (const threads of [1, 3]) {
    const { out, err, status } = runChild(`
      const { startWasm } = require('miniai/wasm')
      console.log(await startWasm(${threads}), tf.getBackend(),
        tf.matMul([[1, 2]], [[3], [4]]).dataSync()[0])
      console.log(process.listenerCount('unhandledRejection'),
        process.listenerCount('uncaughtException'), 'Worker' in globalThis)
      console.log(require('worker_threads').Worker.name)`)
    assert.equal(out, `${threads} wasm 11\n0 0 false\nWorker`)
    assert.equal(err, '')
    assert.equal(status, 0)
  }
})

it('a program on wasm ends by itself, also when it never waited for its threads', () => {
  const start = performance.now()
  const code = 'await useBackend("wasm"); console.log(tf.sum(tf.ones([300, 300])).dataSync()[0])'
  assert.equal(runChild(code).out, '90000')
  assert.ok(performance.now() - start < 20_000)
})

it('a promise rejected on wasm does not end the process before its own handler', () => {
  const { out, status } = runChild(`await useBackend('wasm')
    process.on('unhandledRejection', e => console.log('seen', e.message))
    void Promise.reject(new Error('lost')); await new Promise(resolve =>
      setTimeout(resolve, 50)); console.log('goes on')`)
  assert.equal(out, 'seen lost\ngoes on')
  assert.equal(status, 0)
})

it('threads do not load what the parent process loads by its flags', () => {
  const source = 'import{isMainThread}from"worker_threads";isMainThread||console.log("thread")'
  const { out } = runChild(`await useBackend('wasm'); console.log('alive')`, {},
    ['--import', `data:text/javascript,${source}`])
  assert.equal(out, 'alive')
})

it('wasm says so when its 4 GB are full, and goes on', () => {
  const { out, status } = runChild(`await useBackend('wasm')
    const kept = [], backend = tf.backend()
    try { for (let i = 0; i < 30; i++) kept.push(backend.makeOutput([1000, 1000, 60],
      'float32')) } catch (e) { console.log(e.message) }
    kept.forEach(t => backend.disposeData(t.dataId))
    console.log(tf.sum(tf.ones([10])).dataSync()[0])`)
  assert.equal(out, 'wasm: no room for 240000000 bytes; it has 4 GB in all\n10')
  assert.equal(status, 0)
})

it('training on wasm keeps its number of tensors and its memory', () => {
  const { out } = runChild(`await useBackend('wasm')
    const x = tf.randomNormal([16, 14, 14, 3]), w = tf.variable(tf.randomNormal([3, 3, 3, 8])),
      v = tf.variable(tf.randomNormal([8, 4]))
    const optimizer = tf.train.adam(1e-3), seen = []
    for (let i = 0; i < 60; i++) {
      optimizer.minimize(() =>
        tf.mean(tf.square(tf.matMul(tf.mean(tf.maxPool(tf.relu(tf.conv2d(x, w, 2, 'same')), 2, 2,
        'same'), [1, 2]), v))), false, [w, v])
      if (i === 20 || i === 59) seen.push(tf.memory().numTensors, tf.backend().wasm.HEAPU8.length)
    }
    console.log(seen[0] === seen[2], seen[1] === seen[3])`)
  assert.equal(out, 'true true')
})

it('a product on wasm is right for memory in two shapes and after a variable changed', () => {
  const { out } = runChild(`await useBackend('wasm')
    const w = tf.variable(tf.tensor2d([[1, 2], [3, 4]])), x = tf.tensor2d([[1, 1]]), r = () =>
      [...tf.matMul(x, w).dataSync()].join()
    const a = r(); w.assign(tf.tensor2d([[10, 20], [30, 40]])); const b = r()
    const t = tf.range(0, 6), c = tf.clone(t); t.dispose()
    console.log(a, b, tf.matMul(tf.ones([1, 3]), tf.reshape(c, [3, 2])).dataSync().join(),
      tf.matMul(x, tf.reshape(c, [2, 3])).dataSync().join())`)
  assert.equal(out, '4,6 40,60 6,9 3,5,7')
})
