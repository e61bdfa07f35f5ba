import { strict as assert } from 'node:assert'
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'

const repo = join(__dirname, '..')
const asked = Boolean(process.env.CI) || (process.env.MINIAI_FLAGS ?? '').split(/\W/).includes('slow')
const files = ['tests/engine.test.ts', 'tests/kernel.test.ts', 'tests/setup.test.ts']

/** The newest Node of `major`, as npm's binary package; it needs no installation script. */
function node(major: number): string {
  const dir = join(repo, '.cache/nodes', String(major)), name = `node-${process.platform}-${process.arch}`
  const binary = join(dir, 'node_modules', name, 'bin/node')
  if (!existsSync(binary)) spawnSync('npm', ['install', '--prefix', dir, `${name}@${major}`], { stdio: 'inherit' })
  return binary
}

for (const major of [22, 24, 26]) {
  const test = asked ? it : it.skip
  test(`Node ${major} passes the tests of engine, kernel and set-up (CI, or --slow)`, function () {
    this.timeout(600000)
    const { status, stdout, stderr } = spawnSync(node(major), ['node_modules/mocha/bin/mocha.js', ...files],
      { cwd: repo, encoding: 'utf8', env: { ...process.env, CI: '' } })
    assert.equal(status, 0, stdout + stderr)
    assert.match(stdout, /\d+ passing/)
  })
}
