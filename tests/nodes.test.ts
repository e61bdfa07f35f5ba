import { strict as assert } from 'node:assert'
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'

const repo = join(__dirname, '..'), own = process.versions.node.split('.')[0]
const isAsked = Boolean(process.env.CI) || (process.env.MINIAI_FLAGS ?? '').includes('slow')
const words = ['engine', 'ops', 'kernel', 'setup']
const files = words.map(name => `tests/${name}.test.ts`)

/** The Nodes that the project runs on; the tests themselves run on one of them. */
const versions = ['20.20.2', '22.23.3', '24.21.0', '26.10.0']

/** Node of a version, as npm's binary package, which needs no installation script. */
function node(version: string): string {
  const name = `node-${process.platform}-${process.arch}`
  const dir = join(repo, '.cache', `node-${version}`), args = ['--no-audit', '--no-fund']
  const binary = join(dir, 'node_modules', name, 'bin/node')
  const install = ['install', ...args, '--prefix', dir, `${name}@${version}`]
  if (!existsSync(binary)) spawnSync('npm', install, { stdio: 'inherit', timeout: 120_000 })
  return binary
}

for (const version of versions.filter(o => o.split('.')[0] !== own)) {
  const test = isAsked ? it : it.skip
  test(`Node ${version} passes the tests of ${words.join(', ')} (CI, or --slow)`, function () {
    this.timeout(420_000)
    const args = ['node_modules/mocha/bin/mocha.js', ...files]
    const env = { ...process.env, CI: '' }
    const { status, stdout, stderr } =
      spawnSync(node(version), args, { cwd: repo, encoding: 'utf8', env, timeout: 300_000 })
    assert.equal(status, 0, stdout + stderr)
    assert.match(stdout, /\d+ passing/)
  })
}
