/* grpc_web_fuzz.c - libFuzzer entry for the texts of gRPC-Web and the small grammars of gRPC. */
// SPDX-License-Identifier: Apache-2.0
#include "http/grpc_web_fuzz_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    fuzz_grpc_web(at, len);
    return 0;
}
