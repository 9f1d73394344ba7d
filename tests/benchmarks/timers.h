/* A binary heap of deadlines, earliest first; mock.c's only clockwork. An entry knows its place in the heap,
 * so that a closed connection can take its deadline out. */
#ifndef TIMERS_H
#define TIMERS_H

#include <stdint.h>
#include <stdlib.h>

typedef struct {
    uint64_t due; /* microseconds, CLOCK_MONOTONIC */
    int place;    /* index + 1 in the heap; 0 = not armed */
} Timer;

static struct {
    Timer **at;
    int count, capacity;
} heap;

static void heap_put(Timer *timer, int i) {
    heap.at[i] = timer;
    timer->place = i + 1;
}

static void heap_rise(Timer *timer, int i) {
    for (; i > 0 && heap.at[(i - 1) / 2]->due > timer->due; i = (i - 1) / 2)
        heap_put(heap.at[(i - 1) / 2], i);
    heap_put(timer, i);
}

static void heap_sink(Timer *timer, int i) {
    for (int child; (child = 2 * i + 1) < heap.count; i = child) {
        if (child + 1 < heap.count && heap.at[child + 1]->due < heap.at[child]->due)
            child++;
        if (heap.at[child]->due >= timer->due)
            break;
        heap_put(heap.at[child], i);
    }
    heap_put(timer, i);
}

static void timer_arm(Timer *timer, uint64_t due) {
    if (heap.count == heap.capacity) {
        heap.capacity = heap.capacity ? heap.capacity * 2 : 1024;
        heap.at = realloc(heap.at, (size_t)heap.capacity * sizeof *heap.at);
    }
    timer->due = due;
    heap_rise(timer, heap.count++);
}

static void timer_disarm(Timer *timer) {
    if (!timer->place)
        return;
    int i = timer->place - 1;
    Timer *last = heap.at[--heap.count];
    timer->place = 0;
    if (last == timer)
        return;
    heap_rise(last, i);
    heap_sink(last, last->place - 1);
}

static Timer *timer_first(void) {
    return heap.count ? heap.at[0] : NULL;
}

#endif
