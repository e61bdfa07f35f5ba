import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'

it('modules, tools and tests pass the strict type check', () => {
  const root = join(__dirname, '..')
  const args = [join(root, 'node_modules/typescript-native/bin/tsc'), '-p', root]
  const { stdout, stderr, status } = spawnSync(process.execPath, args, { encoding: 'utf8' })
  assert.equal(status, 0, stdout + stderr)
})
