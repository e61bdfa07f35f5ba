// @ts-check
// tslab brings its own TypeScript and ZeroMQ: the same copies are used here.
const { createRequire } = require('module')

const fromTslab = createRequire(require.resolve('tslab/package.json'))
const compiler = fromTslab.resolve('@tslab/typescript-for-tslab')

module.exports = { fromTslab, compiler }
