/*
 * syscall: calls that come back twice, or on another stack, go straight to libc, without a frame of ours: clone,
 * clone3, vfork, rt_sigreturn. The rest goes to syscall_hook() (hooks/syscall.c), with its arguments where they are.
 */
    .text
    .globl syscall
    .type syscall, @function
syscall:
    .cfi_startproc
    endbr64
    cmpq $56, %rdi      /* clone */
    je .Lchild
    cmpq $58, %rdi      /* vfork */
    je .Lstraight
    cmpq $15, %rdi      /* rt_sigreturn */
    je .Lstraight
    cmpq $435, %rdi     /* clone3 */
    je .Lchild
    jmp syscall_hook
.Lchild:
    movb $1, thread_strangers(%rip)
.Lstraight:
    movq syscall_real(%rip), %rax
    testq %rax, %rax
    je syscall_hook
    jmp *%rax
    .cfi_endproc
    .size syscall, . - syscall

    .section .note.GNU-stack, "", @progbits
