// @ts-check

/**
 * tfjs, when it was cut off inside a `tidy` or a gradient, would believe itself inside for ever,
 * and keep every tensor: take it out.
 */
function untangle() {
  const engine = /** @type {any} */ (globalThis)._tfengine, state = engine?.state
  if (!state) return
  while (state.scopeStack.length) engine.endScope()
  const outside = { gradientDepth: 0, kernelDepth: 0, activeTape: null, numDataMovesStack: [] }
  Object.assign(state, outside)
}

module.exports = { untangle }
