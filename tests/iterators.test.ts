import { strict as assert } from 'assert'
import { inspect } from 'util'
import { chunks, islice, iter, Matrix } from 'miniai/iterators'

function* naturals() { for (let n = 0; ; n++) yield n }

it('chunks(xs, n) gives pieces of n, the last shorter', () => {
  assert.deepEqual([...chunks([1, 2, 3, 4, 5], 2)], [[1, 2], [3, 4], [5]])
  assert.deepEqual([...chunks([1, 2, 3, 4], 2)], [[1, 2], [3, 4]])
  assert.deepEqual([...chunks([1], 5)], [[1]])
  assert.deepEqual([...chunks([], 3)], [])
  assert.deepEqual([...chunks('abcde', 3)], ['abc', 'de'])
  assert.deepEqual([...chunks(new Float32Array(3), 2)].map(o => o.length), [2, 1])
})

it('chunks(xs, n) cuts a piece only when it is asked for', () => {
  let cuts = 0
  const slice = (from: number, to: number): any => { cuts++; return { length: to - from, slice } }
  const xs = { length: 6, slice }
  const it = chunks(xs, 2)
  assert.equal(cuts, 0)
  it.next()
  assert.equal(cuts, 1)
})

for (const n of [0, -1, 1.5, NaN]) {
  it(`chunks(xs, ${n}) is refused`, () => {
    const message = `chunks: expected a whole n above 0, got ${n}`
    assert.throws(() => [...chunks([1, 2], n)], { message })
  })
}

it('islice(xs, n) gives the first n and leaves the rest to the next call', () => {
  const it = iter(naturals())
  assert.deepEqual([...islice(it, 3)], [0, 1, 2])
  assert.deepEqual([...islice(it, 0)], [])
  assert.deepEqual([...islice(it, 2)], [3, 4])
  assert.equal(it.next().value, 5)
})

it('islice(xs, n) gives less of a short thing', () => {
  assert.deepEqual([...islice([1, 2], 5)], [1, 2])
  assert.deepEqual([...islice('', 5)], [])
  assert.deepEqual([...islice(new Set([1, 2]), Infinity)], [1, 2])
})

// Python 3.11: it = iter(range(20)); list(islice(it, 2, 15, 4)), next(it) → [2, 6, 10, 14], 15
it('islice(xs, start, stop, step) goes as far as Python goes', () => {
  const it = iter(islice(naturals(), 20))
  assert.deepEqual([...islice(it, 2, 15, 4)], [2, 6, 10, 14])
  assert.equal(it.next().value, 15)
  assert.deepEqual([...islice(naturals(), 5, 3)], [])
})

it('islice refuses negative numbers, NaN and a step of 0', () => {
  for (const o of [[-1], [NaN], [0, -5], [-1, 5], [0, 5, 0]] as [number, number?, number?][]) {
    assert.throws(() => [...islice([1, 2], ...o)], /^Error: islice: cannot go from/)
  }
})

it('iter(xs) gives an iterator of anything iterable, and refuses the rest', () => {
  assert.equal(iter([7]).next().value, 7)
  assert.deepEqual([...iter(new Map([[1, 2]]))], [[1, 2]])
  const it = iter(naturals())
  assert.equal(iter(it), it)
  assert.throws(() => iter(5 as any), /iter: expected something iterable or a function, got 5/)
  assert.throws(() => iter(null as any), /got null/)
})

it('iter(f, sentinel) calls f until it gives something equal to the sentinel', () => {
  let n = 0
  assert.deepEqual([...iter(() => n++, 4)], [0, 1, 2, 3])
  assert.equal(n, 5)
  const lists = [[1], [2], [], [3]]
  assert.deepEqual([...iter(() => lists.shift()!, [])], [[1], [2]])
  assert.deepEqual([...iter(() => NaN, NaN)], [])
})

const m = new Matrix([[1, 2, 3], [4, 5, 6]])

it('m.at(i, j), m["i,j"] and m[i][j] are the same number', () => {
  assert.deepEqual([m.at(1, 2), m['1,2'], m[1][2]], [6, 6, 6])
  assert.deepEqual([m.at(-1, -3), m['-1,-3']], [4, 4])
  assert.equal((m as any)[[0, 1] as any], 2)
  assert.equal((m as any)['0, 1'], 2)
})

it('m.at(i, j) refuses a place that is not there', () => {
  for (const [i, j] of [[2, 0], [0, 3], [-3, 0], [0, -4]]) {
    assert.throws(() => m.at(i, j), { message: `Matrix: no place [${i}, ${j}] in shape [2,3]` })
  }
  assert.throws(() => m['9,9'], /no place/)
  assert.equal(m[9], undefined)
})

it('new Matrix(xs) refuses rows of different length', () => {
  assert.throws(() => new Matrix([[1, 2], [3]]), { message: 'Matrix: rows of 2 and of 1 numbers' })
  assert.deepEqual(new Matrix([]).shape, [0, 0])
})

it('a Matrix keeps its rows and prints its shape', () => {
  const rows = [[1]], one = new Matrix(rows)
  assert.equal(one.xs, rows)
  assert.equal(inspect(m), 'Matrix [2, 3]')
})
