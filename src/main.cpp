#include <cstdio>
int main() { std::puts("dunlin"); }
