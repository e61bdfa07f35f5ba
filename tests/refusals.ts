import assert from 'node:assert/strict'
import { useBackend } from 'miniai/engine'

/** What is refused, how it is asked for, and the sentence. */
export type Refusal = [what: string, f: () => unknown, why: RegExp]

/** A test for each: it throws, and says so in its sentence. */
export function refuses(all: Refusal[]): void {
  for (const [what, f, why] of all) {
    it(`${what} is refused in one sentence`, async () => {
      await useBackend('wasm')
      assert.throws(f, (e: Error) => why.test(e.message) || assert.fail(e.message))
    })
  }
}
