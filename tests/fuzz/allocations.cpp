#include "fuzz/allocations.h"

#include <cstdlib>
#include <new>

namespace {
thread_local std::size_t allocated_so_far = 0;
}  // namespace

void* operator new(std::size_t size) {
  allocated_so_far += size;
  void* memory = std::malloc(size == 0 ? 1 : size);
  if (memory == nullptr) std::abort();
  return memory;
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  allocated_so_far += size;
  return std::malloc(size == 0 ? 1 : size);
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}

namespace dunlin::fuzz {

std::size_t bytes_allocated() {
  return allocated_so_far;
}

}  // namespace dunlin::fuzz
