"""Times other libraries for tile-bench, which starts this by --peer-command and takes turns with it.

Reads a request a line and answers each with one line:
    prepare SLOT cudnn attn B H S D CAUSAL   fa2 attn ...    "ok"
    prepare SLOT torch rmsnorm|softmax M N   inductor ...    "ok"
    prepare SLOT torch copy BYTES                            "ok"
    prepare SLOT triton gemm M N K float16                  "ok"; with DISABLE_MMA_V3=1 by mma.sync
    time SLOT SECONDS                                        runs about so long: the microseconds of one launch
    drop                                                     forgets all slots: "ok"
What fails is answered with "error WORDS". Data is random; norms go round buffers that exceed the cache, as graphs.
"""
import os
import sys

answers = os.fdopen(os.dup(1), 'w')
os.dup2(2, 1)  # what libraries print is no answer

import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402


def attn(peer, b, h, s, d, causal):
    from torch.nn.attention import SDPBackend, sdpa_kernel
    backend = {'cudnn': SDPBackend.CUDNN_ATTENTION, 'fa2': SDPBackend.FLASH_ATTENTION}[peer]
    q, k, v = (torch.randn(b, h, s, d, device='cuda', dtype=torch.float16) for _ in range(3))

    def run():
        with sdpa_kernel(backend):
            F.scaled_dot_product_attention(q, k, v, is_causal=bool(causal))
    return run, 1, False


def norm(peer, work, m, n):
    sets = max(1, min(8, int(120e6 / (m * n * 4)) + 1))
    xs = [torch.randn(m, n, device='cuda', dtype=torch.float16) for _ in range(sets)]
    w = torch.randn(n, device='cuda', dtype=torch.float16)
    op = (lambda x: F.rms_norm(x, (n,), w, 1e-5)) if work == 'rmsnorm' else (lambda x: torch.softmax(x, -1))
    if peer == 'inductor':
        op = torch.compile(op, dynamic=False, mode='max-autotune-no-cudagraphs')
    return (lambda: [op(x) for x in xs]), sets, True


TRITON_GEMM = '''
import triton
import triton.language as tl


@triton.autotune(configs=[triton.Config({'BM': m, 'BN': n, 'BK': k, 'GROUP': 8}, num_stages=s, num_warps=w)
                          for m, n, k, s, w in ((128, 256, 64, 3, 8), (128, 256, 64, 4, 8), (256, 128, 64, 3, 8),
                                                (128, 128, 64, 4, 4), (128, 128, 64, 3, 8), (128, 256, 32, 4, 8))],
                 key=['M', 'N', 'K'])
@triton.jit
def gemm(a, b, c, M, N, K, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr, GROUP: tl.constexpr):
    pid = tl.program_id(0)
    tm, tn = tl.cdiv(M, BM), tl.cdiv(N, BN)
    width = GROUP * tn
    first = pid // width * GROUP
    rows = min(tm - first, GROUP)
    i, j = first + pid % width % rows, pid % width // rows
    r, s, k = (i * BM + tl.arange(0, BM)) % M, (j * BN + tl.arange(0, BN)) % N, tl.arange(0, BK)
    pa, pb = a + r[:, None] * K + k[None, :], b + s[None, :] * K + k[:, None]
    acc = tl.zeros((BM, BN), dtype=tl.float32)
    for x in range(0, tl.cdiv(K, BK)):
        acc = tl.dot(tl.load(pa, mask=k[None, :] < K - x * BK, other=0.0),
                     tl.load(pb, mask=k[:, None] < K - x * BK, other=0.0), acc)
        pa += BK
        pb += BK
    rc, cc = i * BM + tl.arange(0, BM), j * BN + tl.arange(0, BN)
    tl.store(c + rc[:, None] * N + cc[None, :], acc.to(c.dtype.element_ty), mask=(rc[:, None] < M) & (cc[None, :] < N))
'''


def triton_gemm(m, n, k, dtype):
    import importlib.util
    import tempfile
    import triton
    with tempfile.NamedTemporaryFile('w', suffix='.py', delete=False) as f:  # kernels are read from a file
        f.write(TRITON_GEMM)
    spec = importlib.util.spec_from_file_location('triton_gemm', f.name)
    code = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(code)
    t = getattr(torch, dtype)
    sets = max(1, min(8, int(120e6 / ((m * k + n * k + m * n) * 2)) + 1))
    data = [(torch.randn(m, k, device='cuda', dtype=t), torch.randn(n, k, device='cuda', dtype=t) * 0.02,
             torch.empty(m, n, device='cuda', dtype=t)) for _ in range(sets)]

    def run():
        for a, b, c in data:
            code.gemm[lambda x: (triton.cdiv(m, x['BM']) * triton.cdiv(n, x['BN']),)](a, b, c, m, n, k)
    return run, sets, True


def copy(n):
    a = torch.empty(n, device='cuda', dtype=torch.uint8).random_()
    b = torch.empty_like(a)
    return (lambda: b.copy_(a)), 1, False


class Work:
    def __init__(self, words):
        peer, work, *numbers = words
        numbers = [int(x) if x.isdigit() else x for x in numbers]
        if work == 'attn':
            run, self.launches, graph = attn(peer, *numbers)
        elif work == 'gemm':
            run, self.launches, graph = triton_gemm(*numbers)
        elif work == 'copy':
            run, self.launches, graph = copy(*numbers)
        else:
            run, self.launches, graph = norm(peer, work, *numbers)
        with torch.no_grad():
            for _ in range(3):
                run()
            torch.cuda.synchronize()
            if graph:
                captured = torch.cuda.CUDAGraph()
                with torch.cuda.graph(captured):
                    for _ in range(-(-8 // self.launches)):
                        run()
                self.launches *= -(-8 // self.launches)
                self.run = captured.replay
            else:
                self.run = run
        self.us = self.block(3)

    def block(self, n):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        with torch.no_grad():
            self.run()
            start.record()
            for _ in range(n):
                self.run()
            end.record()
        torch.cuda.synchronize()
        return start.elapsed_time(end) * 1e3 / n / self.launches

    def time(self, seconds):
        self.us = self.block(max(1, int(seconds * 1e6 / (self.us * self.launches))))
        return self.us


def main():
    torch.manual_seed(0)
    slots = {}
    for line in sys.stdin:
        words = line.split()
        answer = 'ok'
        try:
            if words[0] == 'time':
                answer = '%.4f' % slots[words[1]].time(float(words[2]))
            elif words[0] == 'prepare':
                slots[words[1]] = Work(words[2:])
            else:
                slots.clear()
                torch.cuda.empty_cache()
        except Exception as e:
            answer = 'error ' + ' '.join(str(e).split())[:300]
        print(answer, file=answers, flush=True)


main()
