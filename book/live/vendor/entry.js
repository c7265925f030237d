import "@tensorflow/tfjs-core/dist/register_all_gradients.js";
export * from "@tensorflow/tfjs-core/dist/base.js";
export { setWasmPaths } from "@tensorflow/tfjs-backend-wasm";
