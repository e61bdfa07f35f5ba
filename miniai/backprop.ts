// Do not edit: made by "npm run export" from ../nbs/06_backprop.ipynb (c4fa5dc1f1b6)
// The gradients of a network, first by hand, then by a program that takes notes while it computes: in scalars, in tensors, and at last from the library.

import { inspect } from 'util'
import { tf } from './engine'

// %% ../nbs/06_backprop.ipynb 28185b3a
/** (f(x + h·d) − f(x − h·d)) / 2h: the slope at `x` in the direction `d` of a scalar function. */
export function slopeAlong(f: (x: tf.Tensor) => tf.Tensor, x: tf.Tensor, d: tf.Tensor, h = 1e-2): number {
  const at = (by: number) => tf.tidy(() => f(x.add(d.mul(by))).dataSync()[0])
  return (at(h) - at(-h)) / (2 * h)
}

// %% ../nbs/06_backprop.ipynb 32386b69
/** All that `root` was made of, each after everything that was made of it. */
function sorted<N extends { from: N[] }>(root: N): N[] {
  const order: N[] = [], seen = new Set<N>([root]), stack = [{ o: root, next: 0 }]
  while (stack.length) {
    const top = stack.at(-1)!, child = top.o.from[top.next++]
    if (!child) order.push(stack.pop()!.o)
    else if (!seen.has(child)) {
      seen.add(child)
      stack.push({ o: child, next: 0 })
    }
  }
  return order.reverse()
}

// %% ../nbs/06_backprop.ipynb ee26ed51
/** A number that remembers how it was made: after `y.backward()`, `x.grad` is dy/dx. */
export class Value {
  grad = 0
  constructor(public data: number, public from: Value[] = [], public slopes: number[] = []) {}
  static of(o: Value | number): Value { return o instanceof Value ? o : new Value(o) }

  /** a + b */
  add(o: Value | number): Value {
    const b = Value.of(o)
    return new Value(this.data + b.data, [this, b], [1, 1])
  }
  /** a · b */
  mul(o: Value | number): Value {
    const b = Value.of(o)
    return new Value(this.data * b.data, [this, b], [b.data, this.data])
  }
  /** aᵏ for a plain number k */
  pow(k: number): Value {
    return new Value(this.data ** k, [this], [k * this.data ** (k - 1)])
  }
  /** max(a, 0) */
  relu(): Value { return new Value(Math.max(this.data, 0), [this], [Number(this.data > 0)]) }
  sub(o: Value | number): Value { return this.add(Value.of(o).mul(-1)) }
  div(o: Value | number): Value { return this.mul(Value.of(o).pow(-1)) }

  /** Find dy/dx for every x that this y was made of. */
  backward(): void {
    const order = sorted<Value>(this)
    for (const v of order) v.grad = 0
    this.grad = 1
    for (const v of order) v.from.forEach((o, i) => { o.grad += v.slopes[i] * v.grad })
  }
  [inspect.custom]() { return `Value(${this.data}, grad ${this.grad})` }
}
