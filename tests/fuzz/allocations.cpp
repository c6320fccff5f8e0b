#include "fuzz/allocations.h"

#include <malloc.h>

#include <cstdlib>
#include <new>

namespace {

thread_local std::size_t allocated_so_far = 0;
thread_local std::size_t held_now = 0;

void* allocate(std::size_t size) noexcept {
  allocated_so_far += size;
  void* memory = std::malloc(size == 0 ? 1 : size);
  held_now += malloc_usable_size(memory);
  return memory;
}

void release(void* memory) noexcept {
  held_now -= malloc_usable_size(memory);
  std::free(memory);
}

}  // namespace

void* operator new(std::size_t size) {
  void* memory = allocate(size);
  if (memory == nullptr) std::abort();
  return memory;
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  return allocate(size);
}
void operator delete(void* memory) noexcept {
  release(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  release(memory);
}

namespace dunlin::fuzz {

std::size_t bytes_allocated() {
  return allocated_so_far;
}

std::size_t bytes_held() {
  return held_now;
}

}  // namespace dunlin::fuzz
