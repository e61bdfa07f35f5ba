// How many threads a session computes with. tfjs-node opens every session with TensorFlow's
// defaults and offers no way to choose; its sources are therefore compiled with
// -DTF_NewSessionOptions=newSessionOptions, and ask here.
#undef TF_NewSessionOptions
#include <cstdlib>
#include "tensorflow/c/c_api.h"

extern "C" TF_SessionOptions *newSessionOptions() {
  TF_SessionOptions *options = TF_NewSessionOptions();
  const char *wanted = std::getenv("MINIAI_GRAPH_THREADS");
  const int threads = wanted ? std::atoi(wanted) : 0;
  if (threads < 1 || threads > 127) return options;
  // field 2 of TensorFlow's ConfigProto, intra_op_parallelism_threads, as one byte
  const unsigned char config[] = {2 << 3, static_cast<unsigned char>(threads)};
  TF_Status *status = TF_NewStatus();
  TF_SetConfig(options, config, sizeof config, status);
  TF_DeleteStatus(status);
  return options;
}
